"""The operating system: files, devices, processes, threads, failures."""
