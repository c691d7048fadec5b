"""What was answered, and what came of it: spooled by workers, put into tables on S3. Decides nothing."""
