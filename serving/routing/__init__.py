"""Which version answers a request, and which see it: arms, buckets, ramps, guards. Knows no web server."""
