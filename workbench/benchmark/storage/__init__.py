"""The SSD and what reads and writes cost on it, beside fio."""
