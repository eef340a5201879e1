"""A person who asks to be forgotten, or what is known of them: who is meant, the procedure, receipts."""
