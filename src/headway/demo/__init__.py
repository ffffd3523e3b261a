"""``headway demo``: a control plane, twenty nodes and their traffic, on one machine."""
