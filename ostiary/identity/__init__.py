"""Identity at the edge: keys fetched, signals kept, pages served; what it means is `policy.identity`'s to say."""
