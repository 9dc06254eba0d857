"""The commands of the source tables: `saas --help` lists them."""
