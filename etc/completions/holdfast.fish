# holdfast.fish - completion for fish: the program prints it. See holdfast-completion(1).
holdfast completion fish | source
