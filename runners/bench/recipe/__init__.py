"""The model beside plain networks at the same passes: what docs/recipe.md rests on."""
