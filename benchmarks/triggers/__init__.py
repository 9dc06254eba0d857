"""What keeping an affiliate's counters costs per commission."""
