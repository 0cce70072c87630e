"""What `ovbench fetch` brings: a file of known content from the net, made into a model or a folder of images."""
