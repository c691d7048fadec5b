"""A model version that answers: verified, loaded, tried, and how it predicts and explains."""
