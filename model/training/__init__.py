"""From folders of songs to weights: data, augmentation, losses, the loop, evaluation."""
