"""What pages say of the project as it stands, of its plan and of what it costs."""
