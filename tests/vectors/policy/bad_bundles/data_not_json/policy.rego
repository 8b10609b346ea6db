package ostiary

decision := {}
