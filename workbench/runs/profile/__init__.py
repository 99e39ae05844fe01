"""Run folders of kind "profile": what is profiled, how it is run, and the file it leaves."""
