package ostiary

decision := {"verdict": "allow"
