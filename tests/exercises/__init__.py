"""The notebooks' exercises: `NAME.py` holds the answers to `notebooks/NAME.ipynb`, `answers` puts them in."""
