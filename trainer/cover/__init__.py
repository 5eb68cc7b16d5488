"""What sees that something is in front of the mouth: how its network is made and measured."""
