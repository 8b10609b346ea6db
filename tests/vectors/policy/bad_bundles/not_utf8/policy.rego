package ostiary

# ÿþ
decision := {}
