"""What each arm has answered lately, from the spool: told each second, and to whoever stops an arm."""
