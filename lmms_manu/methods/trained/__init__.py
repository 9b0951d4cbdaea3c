"""What the methods that train have in common, whatever they minimise."""
