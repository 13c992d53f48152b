"""Write the dataset's card and licence notice."""
