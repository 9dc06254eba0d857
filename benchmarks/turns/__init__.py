"""What a refresh costs in two versions of the project, in turns."""
