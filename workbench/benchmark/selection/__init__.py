"""Reading a choice of cold blocks: attention mass, layers and answers."""
