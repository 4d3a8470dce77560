"""Methods of other libraries behind one protocol, so that estimates can be laid side by side."""
