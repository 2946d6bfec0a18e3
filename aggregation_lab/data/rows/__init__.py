"""From CSV files to typed cases."""
