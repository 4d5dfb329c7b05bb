"""The only package that talks to SlateDB: sorted bytes in, sorted bytes out, all of it synchronous."""
