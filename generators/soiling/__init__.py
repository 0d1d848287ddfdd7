"""What spoils a surface: scratches, dirt, rust, and labels that come off."""
