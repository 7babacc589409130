"""What the API says of itself: the OpenAPI document, and TypeScript types of it."""
