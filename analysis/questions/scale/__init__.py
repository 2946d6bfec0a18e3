"""How gains change with the amount of data: over different tasks, and within the same one."""
