"""placeholder, to be replaced by its verb."""
def command() -> None:
    """Not there yet."""
