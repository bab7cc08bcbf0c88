"""Effects: pedalboard's contract, boards, and a separator as an effect."""
