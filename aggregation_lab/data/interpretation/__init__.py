"""What the values of a task's images and targets mean, decided for whole tasks."""
