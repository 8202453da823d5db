"""RECORDINGS -> EMBEDDINGS, RECONSTRUCTIONS, SCORES: the masked autoencoder that takes gaps as they are."""
