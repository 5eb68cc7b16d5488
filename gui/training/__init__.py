"""Make a model of one person from clips of the project: `julnet finetune` in a process of its own, watched."""
