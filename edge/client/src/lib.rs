//! Client of the signature server: spreads over several appliances and retries.
