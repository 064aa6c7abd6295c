"""One file to hand an ensemble over in: a plain zip of weights, roster, temperatures, thresholds and model card.

Its bytes follow from its content alone, so that whoever opens it can say of every byte what it must be. A digest finds
damage; it does not say who made the file. Whoever wants to know that compares the whole file's SHA-256 with the one
that its maker tells by other means.

Own code: zipfile leaves bytes to choose and reads past them; here a file is compared with the bytes that the same
content gives.
"""
