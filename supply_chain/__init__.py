"""What production installs, told from the lock files and from what is installed: its licences and its bill of materials."""
