"""The replay: half a year of real flights in minutes, each day scored, answered for, and looked back at."""
