"""Questions across the arms of a study: does a gain change with the model or with the way it is trained?"""
