"""The second wall around a process that works for tenants: what the kernel refuses it, whatever runs in it.

The first wall is the guest's linear memory. Imports nothing of ours but `errors`.
"""
