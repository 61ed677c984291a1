"""What pages say of models: verdicts beside each other, aliases and who moved them."""
