"""What the front door offers, one class a job; each loads only the room that it needs, when it is done."""
