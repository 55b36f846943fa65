"""What the rings share and no reader needs: whole files, optional libraries, progress bars."""
