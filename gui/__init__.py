"""`julnet-editor`: the view of `host_adapters.standalone`, on PySide6. Nothing imports this package."""
