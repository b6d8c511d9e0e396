"""The example config folders do what their pages say."""
