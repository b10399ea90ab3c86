"""Commands, recipes and artifacts: the only room that sees all the others. One file a command."""
