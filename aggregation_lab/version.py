"""The version of this project, apart from the front door, so that its own modules can name it."""

__version__ = "0.1.0"
