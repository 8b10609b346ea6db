package ostiary

verdict := "allow"
