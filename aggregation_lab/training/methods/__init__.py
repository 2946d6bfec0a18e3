"""Multi-task training methods: how the gradients or the losses of a unit's tasks are combined."""
