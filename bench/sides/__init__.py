"""The contestants: each is a program of its own, started by a measure, that talks with it in lines of JSON."""
