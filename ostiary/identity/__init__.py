"""Identity at the edge: keys fetched and files read for the gate; what they mean is `policy.identity`'s to say."""
