// With a file of assembly in the package the compiler takes declarations without a body, as of expand.
